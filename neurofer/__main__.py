"""`python -m neurofer`, for `torchrun -m neurofer train ...`."""

from neurofer.cli import main

main()
