"""The sidecar of a model pod: carries records of requests from the pod's disk to the table writer."""
