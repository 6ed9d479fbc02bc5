"""What writes into Keyart: the app's events, the studio's catalogue, and audiences to try it on."""

from producers.events import EventProducer

__all__ = ["EventProducer"]
