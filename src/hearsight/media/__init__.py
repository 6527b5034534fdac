"""Ground floor: audio and video files in and out."""
