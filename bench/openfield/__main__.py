from bench.openfield.program import main

raise SystemExit(main())
