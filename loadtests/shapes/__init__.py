"""One shape a file: Locust takes the one whose file is given to it. `--users` is the peak, `--run-time` the length."""
