"""Says which CUDA devices torch sees, in a process of its own: a JSON list, the last line said."""

import json

import torch


def main() -> None:
    """Answers and ends."""
    print(json.dumps([f"cuda:{number}" for number in range(torch.cuda.device_count())]))


if __name__ == "__main__":
    main()
