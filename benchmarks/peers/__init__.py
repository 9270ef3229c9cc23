"""The others, at their best reasonable settings, each behind the one interface of `benchmarks.fanout`."""
