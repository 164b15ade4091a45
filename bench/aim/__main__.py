from bench.aim.program import main

raise SystemExit(main())
