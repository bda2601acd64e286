"""What `model.task` may say, in the words of the Hugging Face Hub, and the transform that prepares data for it by default."""

from __future__ import annotations

from collections.abc import Mapping

TASKS: Mapping[str, str] = {
    "text-classification": "tokenize",
    "sentence-similarity": "tokenize",
    "feature-extraction": "tokenize",
    "text-ranking": "tokenize",
    "text-generation": "causal_lm",
    "image-classification": "picture",
    "image-feature-extraction": "picture",
    "audio-classification": "waveform",
    **dict.fromkeys(
        (
            "any-to-any",
            "audio-text-to-text",
            "audio-to-audio",
            "automatic-speech-recognition",
            "depth-estimation",
            "document-question-answering",
            "fill-mask",
            "graph-ml",
            "image-segmentation",
            "image-text-to-text",
            "image-to-image",
            "image-to-text",
            "keypoint-detection",
            "mask-generation",
            "object-detection",
            "question-answering",
            "reinforcement-learning",
            "robotics",
            "summarization",
            "table-question-answering",
            "tabular-classification",
            "tabular-regression",
            "text-to-audio",
            "text-to-image",
            "text-to-speech",
            "time-series-forecasting",
            "token-classification",
            "translation",
            "unconditional-image-generation",
            "video-classification",
            "video-text-to-text",
            "visual-question-answering",
            "voice-activity-detection",
            "zero-shot-classification",
            "zero-shot-image-classification",
            "zero-shot-object-detection",
        ),
        "",
    ),
}
"""Task to the registered name of a transform; empty where nothing is done by default, and `prepare` says what to do."""
