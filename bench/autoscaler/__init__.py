"""Autoscaler benchmark: the shipped engine and the real decision code of its peers on one simulated data plane."""
