"""``python -m twin.detectors`` compiles the kernels of all detectors, so that no start has to."""

from twin.detectors import warm

if __name__ == "__main__":
    warm()
