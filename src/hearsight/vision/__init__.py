"""What is seen in a picture: instruments, motion, the camera, and tracks of all of them."""
