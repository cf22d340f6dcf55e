# retrain on an NVIDIA GPU, by TensorFlow, which brings its own CUDA. From the project's folder:
#   docker build -f .docker/gpu.Dockerfile -t retrain-gpu .
#   docker run --gpus all --rm -it -u "$(id -u):$(id -g)" -v "$PWD:/work" retrain-gpu bottlenecks photos
FROM python:3.12-slim

COPY pyproject.toml README.md LICENSE NOTICE /src/
COPY retrain_cli /src/retrain_cli
COPY docs/man /src/docs/man
COPY docs/completions /src/docs/completions
RUN pip install --no-cache-dir '/src[gpu,export,serve]' && rm -r /src

# Whoever runs it: the workspace, settings and weights lie in the folder that is mounted.
ENV HOME=/work NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
EXPOSE 8080
ENTRYPOINT ["retrain"]
