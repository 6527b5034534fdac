"""Analysis of the pictures: instruments, people, motion, the camera, and their tracks."""
