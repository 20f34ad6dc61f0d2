"""LSTMs on the features of frames."""

from __future__ import annotations

from torch import nn


def gentle_lstm(features: int, units: int) -> nn.LSTM:
    """An LSTM whose initial weights are within ±0.01, for sequences [n, frames, features].

    The larger ones that torch draws saturate its gates if thousands of features come in of which none is negative; the
    LSTM then does not learn even eight clips by heart.
    """
    lstm = nn.LSTM(features, units, batch_first=True)
    for name, value in lstm.named_parameters():
        if name.startswith("weight"):
            nn.init.uniform_(value, -0.01, 0.01)
    return lstm
