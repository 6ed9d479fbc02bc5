"""The serving node: choices over HTTP, events in, and a page for people who would rather look."""

from consumers.serving.app import build_app
from consumers.serving.node import run

__all__ = ["build_app", "run"]
