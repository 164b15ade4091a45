from bench.tracking.program import main

raise SystemExit(main())
