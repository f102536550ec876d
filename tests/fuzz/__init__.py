"""Parsers of outside bytes, fed with bytes that nobody meant: what is tried, and what holds whatever comes.

`python -m tests.fuzz` lists the parsers with what each may raise; `make fuzz-parsers` tries them, guided by
coverage, and what it kept of interest is played again by test_corpus.py.
"""
