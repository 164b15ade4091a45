import sys

from bench.identity.program import main

sys.exit(main())
