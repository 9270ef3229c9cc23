"""Other servers at their best reasonable settings, each behind the interface of `benchmarks.fanout`."""
