"""What the study decides once: its rates, by the names that tables and folders give them, and what names an arm."""

TRAIN_RATES = ("10", "20", "50")  # [Hz] those models are trained at
MIXED, LOG_UNIFORM = "mixed", "loguniform"  # all of these rates; intervals between the coarsest and the finest
FINEST = TRAIN_RATES[-1]  # the rate whose one-step map is composed to coarser ones
REFERENCE_DELTA_T = 0.05  # [s] the step of what is trained at several rates
RATES = ("5", "10", "16", "20", "25", "33.3", "50", "100", "200", "irregular")  # those they are tested at
PLANT_RATES = ("5", "10", "20", "50", "100", "200")  # those at which chapter 0 looks at a simulator's own step
ARM_COLUMNS = ("model", "method", "form", "size", "data", "train_frequency")  # of every table, in this order
