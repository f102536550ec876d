"""A product platform of our own making: the demo's subject and the benchmarks' load."""
