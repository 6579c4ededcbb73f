-- Posts one fixed body and ends with one line of JSON for benchmarks/wrk.py.
-- There is no request() function on purpose: wrk then prepares the bytes once and runs no Lua per request.

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = args[1]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'summary {"requests":%d,"duration_us":%d,"p50_us":%.1f,"p99_us":%.1f,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50.0), latency:percentile(99.0),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
