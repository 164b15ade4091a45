from bench.drift.program import main

raise SystemExit(main())
