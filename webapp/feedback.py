"""The votes on the service's answers, where its settings say."""

from inference.feedback import FeedbackStore
from webapp.corpus import data_folder
from webapp.settings import Settings


def create_feedback(settings: Settings) -> FeedbackStore:
    """The votes, in the data folder even where a cluster keeps the collections."""
    return FeedbackStore(data_folder(settings) / "feedback.sqlite")
