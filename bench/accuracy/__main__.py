from bench.accuracy.program import main

raise SystemExit(main())
