"""What operators say about mail, and which of all that is said counts.

For policies in Python this package is the library: what is named in `__all__` keeps to semantic versioning.
"""

from mailwake.policy.message_view import Message
from mailwake.policy.validation import Accept, ValidationContext
from mailwake.policy.verdict import CONT, DONE, Verdict
from mailwake.policy.verdict import refusal as refuse

__all__ = ["CONT", "DONE", "Accept", "Message", "ValidationContext", "Verdict", "refuse"]
