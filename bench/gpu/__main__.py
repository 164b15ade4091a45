from bench.gpu.program import main

raise SystemExit(main())
