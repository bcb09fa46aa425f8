"""Traces of requests, for a collector that speaks OTLP over HTTP; off unless one is named."""

from typing import Any


class Tracer:
    """Makes a span for each request, or nothing."""

    def __init__(self, endpoint: str):
        """Send spans to the collector at ``endpoint``; do nothing where that is "".

        Raises:
            ImportError: The extra ``otel`` is not installed.
        """
        self._tracer: Any = None
        if not endpoint:
            return
        # Here, because importing it takes a third of a second.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": "codepush"}))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        self._provider = provider
        self._tracer = provider.get_tracer("codepush")

    def begin(self, name: str, parent: str) -> Any:
        """Begin the span of a request, as a part of the trace that ``parent`` names."""
        if self._tracer is None:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": parent})
        return self._tracer.start_span(name, context=context)

    def end(self, span: Any, status: int) -> None:
        """End the span of a request that was answered with ``status``."""
        if span is not None:
            span.set_attribute("http.response.status_code", status)
            span.end()

    def flush(self) -> None:
        """Send what waits."""
        if self._tracer is not None:
            self._provider.force_flush()
