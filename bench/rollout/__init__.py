"""Simulated rollouts: how soon a bad version is taken back, and how seldom a good one."""
