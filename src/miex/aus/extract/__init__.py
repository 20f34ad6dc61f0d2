"""AUs of frames: tables that other programs wrote, and programs that miex runs."""
