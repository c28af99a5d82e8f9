"""The rates of the study: those that models are trained at, by the names that tables and folders give them."""

TRAIN_FREQUENCIES = ("10", "20", "50")  # [Hz]
MIXED, LOG_UNIFORM = "mixed", "loguniform"  # all three rates; intervals between the coarsest and the finest
FINEST = TRAIN_FREQUENCIES[-1]  # the rate whose one-step map is composed to coarser ones
REFERENCE_DELTA_T = 0.05  # [s] the step of what is trained at several rates
