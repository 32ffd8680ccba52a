import json, sys, time
import torch
import transformer_bleu as R
torch.set_num_threads(1)
name, rate, steps = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
model, found = R.learn(name, 100, steps, rate)
b = time.process_time()
found |= R.judged(model, R.clauses("valid"))
found["decode"] = time.process_time() - b
json.dump(found, open(f"results/_pilot_bleu_{name}_{rate}_{steps}.json", "w"))
print(found)
