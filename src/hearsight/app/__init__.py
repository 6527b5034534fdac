"""Page of `hearsight app`: makes a video's sound spatial in a browser, with sources to see, hear and correct.

`settings` has the limits for visitors, `clips` keeps their files, `guard` checks every request, `worker` runs the
processes in which visitors' files are opened, `work` is the program of these, `server` joins them with Gradio's queue.
"""
