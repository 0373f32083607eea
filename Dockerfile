# What `make` wants, for compose.yaml: Python's own small image, and make. The project is mounted, not copied.
# Another base: docker compose build --build-arg BASE=python:3.12-slim
ARG BASE=python:3.13-slim
FROM ${BASE}
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /project
