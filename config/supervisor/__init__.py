"""What ``make run`` is: every process of an instance, kept running and stopped in order.

``up`` is the command, ``fleet`` the processes together, ``child`` one of them, ``programs`` what
they run, ``instance`` what others may know of it.
"""
