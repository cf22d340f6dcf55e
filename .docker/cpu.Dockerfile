# retrain on processors. From the project's folder:
#   docker build -f .docker/cpu.Dockerfile -t retrain .
#   docker run --rm -it -u "$(id -u):$(id -g)" -v "$PWD:/work" retrain bottlenecks photos
FROM python:3.12-slim

COPY pyproject.toml README.md LICENSE NOTICE /src/
COPY retrain_cli /src/retrain_cli
COPY docs/man /src/docs/man
COPY docs/completions /src/docs/completions
RUN pip install --no-cache-dir '/src[export,serve,fast-cpu]' && rm -r /src

# Whoever runs it: the workspace, settings and weights lie in the folder that is mounted.
ENV HOME=/work
WORKDIR /work
EXPOSE 8080
ENTRYPOINT ["retrain"]
