# zoo with everything it needs to train and to encode, on CPUs and on NVIDIA GPUs.
#
#   docker build -t zoo:0.1.0 .
#   docker run --rm zoo:0.1.0 list
#   docker run --rm --gpus all --ipc=host --user "$(id -u):$(id -g)" -v "$PWD:/work" \
#     zoo:0.1.0 train recipe=oobleck_vae data.folder=audio
#
# The CUDA libraries come with the torch wheel; the host needs a driver that runs CUDA 13 and the
# NVIDIA container toolkit. `--ipc=host` gives the loader processes their shared memory.
#
# The lock is the one of `make setup`, tests' packages included: what runs in the image is, package
# for package, what was tested. Nothing is compiled, so neither stage needs a compiler, and the
# soundfile wheel ships libsndfile, so neither stage needs an apt package.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
RUN python -m venv /opt/zoo
ENV PATH=/opt/zoo/bin:$PATH
WORKDIR /build
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY configs configs
COPY recipes recipes
COPY zoo zoo
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
LABEL org.opencontainers.image.title="zoo" \
      org.opencontainers.image.licenses="MIT"
# A home that anyone can write to, and a name in the environment: with `--user`, files in /work
# belong to the caller, whom the image's list of users does not know.
RUN useradd --create-home --uid 1000 zoo \
    && chmod 1777 /home/zoo \
    && install --directory --mode=1777 /work
COPY --from=builder /opt/zoo /opt/zoo
ENV PATH=/opt/zoo/bin:$PATH \
    HOME=/home/zoo \
    USER=zoo \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /work
ENTRYPOINT ["zoo"]
CMD ["--help"]
