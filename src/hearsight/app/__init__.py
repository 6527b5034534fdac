"""The page `hearsight app`: a video in, its sound spatial, seen, heard and mended in a browser.

`settings` says what visitors may do, `clips` keeps their files, `guard` stands before every request, `worker` runs the
processes in which strangers' files are opened, `work` is what those do, `server` joins them with Gradio's queue.
"""
