"""The page of hearsight as a Space of Hugging Face."""

from hearsight.app.server import serve
from hearsight.app.settings import Settings

if __name__ == "__main__":
    serve(Settings(host="0.0.0.0", port=7860, behind_proxy=True, largest_mb=200, longest_s=120, clips_per_hour=20))
