"""Files to batches: reading, resampling, crops, the Lightning data module and practice audio."""
