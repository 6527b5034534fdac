# hearsight's core (binauralize, demo) on a CPU. docker build -t hearsight . && docker run --rm -v "$PWD:/work" hearsight binauralize x.mp4
FROM python:3.11-slim

# The CPU build of PyTorch first: PyPI's holds gigabytes of CUDA libraries.
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu
COPY . /hearsight
RUN pip install --no-cache-dir -c /hearsight/constraints.txt /hearsight && rm -rf /hearsight

WORKDIR /work
ENTRYPOINT ["hearsight"]
