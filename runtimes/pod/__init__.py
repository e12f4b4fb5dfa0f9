"""What all parts of the pod's serving process share: settings, logs, processes, the pod's cgroup and its start."""
