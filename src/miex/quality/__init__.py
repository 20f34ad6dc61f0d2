"""What is measured on the frames of a set: did it come out as planned?"""
