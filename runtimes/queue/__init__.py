"""Between the HTTP shell and the backend: admission, the memory account, the queue and the sizes of model calls."""
