"""`python -m neurofer`, for `torchrun -m neurofer train ...`."""

from neurofer.cli.app import main

main()
