"""Metric names and control paths that the front, the load balancer and the autoscaler must spell alike.

Load is reported as monotone counters, never as gauges sampled once: at 2 ms a request and 10 requests a second a
gauge scraped every second reads zero 98 times in 100. From the counters, mean concurrency, rate and service time
are exact over any interval, and a lost scrape does no harm.
"""

from typing import Final

# --- The front, per pod, on FRONT_ADMIN_PORT at METRICS_PATH -----------------------------------------------------
ENDPOINT_METRIC_LABEL: Final = "endpoint"
VERSION_METRIC_LABEL: Final = "version"
"""Labels of every metric below; values are the endpoint's and the version's names."""

FRONT_ARRIVED: Final = "headrace_requests_arrived_total"
"""Counter: scoring requests that reached the front, the ones it then refused included (a refusal is demand)."""
FRONT_COMPLETED: Final = "headrace_requests_completed_total"
"""Counter: scoring requests whose execution ended, with whatever result."""
FRONT_REFUSED: Final = "headrace_requests_refused_total"
"""Counter: scoring requests refused for want of room (429 or 503)."""
FRONT_ANSWERS: Final = "headrace_answers_total"
"""Counter: answers, by HTTP status in the label `code`."""
FRONT_EXECUTING_SECONDS: Final = "headrace_request_executing_seconds_total"
"""Counter: seconds that requests spent admitted to the model, summed over requests. It grows while they run,
not when they end: `d/dt` is the mean number executing."""
FRONT_QUEUED_SECONDS: Final = "headrace_request_queued_seconds_total"
"""Counter: seconds that requests spent waiting for admission, summed over requests, growing while they wait."""
FRONT_EXECUTING: Final = "headrace_requests_executing"
"""Gauge: requests admitted to the model now."""
FRONT_QUEUED: Final = "headrace_requests_queued"
"""Gauge: requests waiting for admission now."""
FRONT_CONCURRENCY_LIMIT: Final = "headrace_concurrency_limit"
"""Gauge: the hard admission limit in force."""

FRONT_DEFAULT_LIMIT: Final = "headrace_concurrency_limit_default"
"""Gauge: the admission limit that the runtime chose by itself, before anybody set another."""

# What a pod can do, where its front knows: engines that schedule by themselves expose nothing of calls, and gauges are
# absent until a call has ended.
FRONT_CALLS: Final = "headrace_model_calls_total"
"""Counter: model calls that ended. One call may answer several requests."""
FRONT_CALL_REQUESTS: Final = "headrace_model_calls_requests_total"
"""Counter: requests that those calls answered."""
FRONT_CALL_SECONDS: Final = "headrace_model_call_seconds_total"
"""Counter: seconds that those calls took in their workers, summed over calls."""
FRONT_CALL_FIXED_SECONDS: Final = "headrace_model_call_fixed_seconds"
FRONT_CALL_REQUEST_SECONDS: Final = "headrace_model_call_request_seconds"
"""Gauges: the curve of a model call. A call that answers n requests takes fixed + n x request seconds."""
FRONT_CALL_REQUESTS_MAX: Final = "headrace_model_call_requests_max"
"""Gauge: most requests that one call answers; 1 where requests are not merged."""
FRONT_CALL_MEAN_SECONDS: Final = "headrace_model_call_mean_seconds"
"""Gauge: seconds of the last calls over the requests that they answered."""
FRONT_CALLS_AT_ONCE: Final = "headrace_model_calls_at_once"
"""Gauge: calls that the pod's workers can run side by side: one a worker where a call computes, hundreds where it
waits."""
FRONT_CPU_SECONDS: Final = "headrace_pod_cpu_seconds_total"
"""Counter: CPU-seconds used by the pod (cgroup) since it became ready. What its start cost is not in it."""

FRONT_START_SECONDS: Final = "headrace_start_seconds"
"""Gauge, labelled `phase`: seconds of each phase of the pod's start."""
FRONT_CPU_RATIO: Final = "headrace_pod_cpu_ratio"
"""Gauge: CPU used by the pod since the last scrape over its CPU limit (cgroup `cpu.stat`), 0 to 1; absent until the pod
is ready, since what a start takes is no load."""
FRONT_MEMORY_RATIO: Final = "headrace_pod_memory_ratio"
"""Gauge: working set over the memory limit (cgroup `memory.current` less inactive file pages), 0 to 1."""
FRONT_MEMORY_BYTES: Final = "headrace_pod_memory_bytes"
"""Gauge: working set of the pod's cgroup, in bytes."""
FRONT_CPU_THROTTLED_SECONDS: Final = "headrace_pod_cpu_throttled_seconds_total"
"""Counter: seconds in which the pod was kept from the cores because its CPU limit was used up (cgroup `cpu.stat`)."""
FRONT_IO_WAIT_RATIO: Final = "headrace_pod_io_wait_ratio"
"""Gauge: share of time in which some task of the pod waited for I/O (cgroup `io.pressure`), 0 to 1."""

# --- Records of requests, of a front that keeps any, and of its sidecar on SIDECAR_PORT ------------------------------
RECORDS_ATTEMPTED: Final = "headrace_records_attempted_total"
"""Counter: requests for predictions. Always the sum of those sampled out, dropped, spooled and on their way to it."""
RECORDS_SAMPLED_OUT: Final = "headrace_records_sampled_out_total"
"""Counter: of those, the ones that chance left out."""
RECORDS_SPOOLED: Final = "headrace_records_spooled_total"
"""Counter: records that were written to the pod's disk. Always the sum of the sidecar's written, too large, dropped
and pending."""
RECORDS_DROPPED: Final = "headrace_records_dropped_total"
"""Counter: records that are lost, by `reason`; the front and the sidecar have reasons of their own."""
RECORDS_WRITTEN: Final = "headrace_records_written_total"
"""Counter: rows that are in the table, as a whole."""
RECORDS_TOO_LARGE: Final = "headrace_records_too_large_total"
"""Counter: rows that are in the table without their request or answer, which was too long."""
RECORDS_PENDING: Final = "headrace_records_pending"
"""Gauge: records on the pod's disk that are not known to be in the table."""
SPAN_REQUESTS_DROPPED: Final = "headrace_span_requests_dropped_total"
"""Counter: requests whose spans are lost in the pod, by `reason`, as RECORDS_DROPPED has them."""
SPANS_SENT: Final = "headrace_spans_sent_total"
"""Counter: spans of requests that the Collector has taken."""
SPANS_LOST: Final = "headrace_spans_lost_total"
"""Counter: spans that it did not take, or was not there to take."""

# --- Lines of the log: of the front, of its sidecar on SIDECAR_PORT, of controllers on CONTROL_HEALTH_PORT -----------
LOG_LINES: Final = "headrace_log_lines_total"
"""Counter: lines that the front's serving process wrote to the pod's log, those of the model among them."""
LOG_LINES_DROPPED: Final = "headrace_log_lines_dropped_total"
"""Counter: lines that are lost, by `reason`; the front, the sidecar and controllers have reasons of their own."""
LOG_LINES_SENT: Final = "headrace_log_lines_sent_total"
"""Counter: lines that the sidecar, or the controller, has sent on."""
LOG_LINES_PENDING: Final = "headrace_log_lines_pending"
"""Gauge: lines on the pod's disk that the sidecar has not sent on; of a controller, lines in its memory."""

# --- Control of the front, on FRONT_ADMIN_PORT -------------------------------------------------------------------
METRICS_PATH: Final = "/metrics"
CONCURRENCY_PATH: Final = "/concurrency"
"""GET answers `{"limit": n}`; PUT with the same body sets the admission limit; both are idempotent."""
CONCURRENCY_FIELD: Final = "limit"

# --- GPU, from the DCGM exporter, labelled `namespace` and `pod` --------------------------------------------------
DCGM_GPU_UTILISATION: Final = "DCGM_FI_DEV_GPU_UTIL"
"""Gauge, percent of time in which a kernel ran. It is 100 for a language model at one request: no measure of room."""
DCGM_MEMORY_USED: Final = "DCGM_FI_DEV_FB_USED"
DCGM_MEMORY_FREE: Final = "DCGM_FI_DEV_FB_FREE"
DCGM_MEMORY_BANDWIDTH: Final = "DCGM_FI_PROF_DRAM_ACTIVE"
DCGM_TENSOR_ACTIVE: Final = "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"
"""Gauges, 0 to 1: share of cycles in which memory, or the FP16/BF16 tensor pipe, was busy."""

# --- The load balancer (Envoy), at /stats/prometheus on ENVOY_STATS_PORT -----------------------------------------
ENVOY_CLUSTER_LABEL: Final = "envoy_cluster_name"
"""Its value for a version is `<endpoint>/<version>`."""
ENVOY_STATS_PATH: Final = "/stats/prometheus"
ENVOY_REQUESTS: Final = "envoy_cluster_upstream_rq_total"
"""Counter: requests the balancer sent to the version."""
ENVOY_RETRIES: Final = "envoy_cluster_upstream_rq_retry"
"""Counter: of those, the ones that were a second attempt; they are no new demand."""
ENVOY_UNHEALTHY: Final = "envoy_cluster_upstream_cx_none_healthy"
"""Counter: requests for which the version had no pod; they are demand too."""
ENVOY_ACTIVE: Final = "envoy_cluster_upstream_rq_active"
"""Gauge: requests in flight from the balancer's side."""

# --- The autoscaler's list of what there is to scrape, on CONTROL_HEALTH_PORT ---------------------------------------
TARGETS_PATH: Final = "/targets"
"""GET /targets/<job>: the job's addresses in the form of Prometheus' HTTP discovery."""
MODELS_JOB: Final = "models"
BALANCERS_JOB: Final = "load-balancers"

# --- The activator's count of what waits, on CONTROL_HEALTH_PORT ----------------------------------------------------
HELD_PATH: Final = "/held"
"""GET /held/<sequence>: requests that wait for a first pod, by `<endpoint>/<version>`; answers at once when a version
has begun to have some since that sequence, else within a second."""
HELD_SEQUENCE: Final = "sequence"
HELD_FIELD: Final = "held"
