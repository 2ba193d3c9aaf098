"""What the command line does without the service: one picture, a cancelled job, another try."""
