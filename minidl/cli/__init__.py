"""The `minidl` command: training, evaluating and predicting from a terminal, and the exercises."""
