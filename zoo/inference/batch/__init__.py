"""Folders of files: found, divided among processes, batched, and never done twice."""
