"""One shape per file, selected by giving its file to Locust. `--users` is the peak, `--run-time` the length."""
