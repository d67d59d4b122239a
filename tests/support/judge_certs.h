/* Certificates made by OpenPGP.js with tests/interop/make_certs.mjs. Dates: 2024-01-01, additions 2025-01-01. */
#ifndef TESTS_SUPPORT_JUDGE_CERTS_H
#define TESTS_SUPPORT_JUDGE_CERTS_H

#define BEGIN_CERT "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
#define END_CERT "-----END PGP PUBLIC KEY BLOCK-----\n"

static const char cert_v6_25519[] =
    BEGIN_CERT "xioGZZIAgBsAAAAguW9GgUP5TAYxKVdOUGFScWnoy6QAh9d0K+4Dmup6rIPCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
               "ApsDAh4JIqEGd4ahlrlCOUyxNuh407VWHTRfD2xSII/buO8ypEERZhINJwkDBwMJAQcBCQIHAgAAAACjFCDVMX43YWjO3hJtVF6X\n"
               "9b4oWTvyp60EPJ3sLFQNXV/eA92r0XzbwTFHY16P/h44dvj8L/4iQIfLxHiXgiRkluOcE+yUCkY8bl9XLD/mBc6V1i5XQpCYeRbn\n"
               "5PJ+5qsJQQjNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQZ3hqGWuUI5TLE26HjTtVYdNF8PbFIg\n"
               "j9u47zKkQRFmEgAAAABHMyD646OUzFl7+rJNn/tZX58RoXFVSbf61xIHp4BMCC2yLygnrtiwYmthuTi8UMjTTFtNnxB7Y++Sky9v\n"
               "0fuemQlwK19z+N2+CCZu8epVukNEQ2eyz7MRw9LXlzwwx6plwwHOKgZlkgCAGQAAACCthYweQNjWd7mBAw9WWOzGEEARCluYgo4H\n"
               "fKrmvq1udsKbBhgbCgAAACwFgmWSAIACmwwioQZ3hqGWuUI5TLE26HjTtVYdNF8PbFIgj9u47zKkQRFmEgAAAADJ0CAEpSifa/lS\n"
               "jJu2GAboZEC60heWpqbg5gKrbPNh5hQCNC9i6jLArEkGxX7jDlbzvbs8TI8XbQ30ajqfbSlE14ZQAB6nqco5+H/2jJNuMT4qmUFE\n"
               "3IPbsknQGdAHDQlENw8=\n" END_CERT;

static const char cert_v6_448[] =
    BEGIN_CERT "xkMGZZIAgBwAAAA5aeq1ZDm8NMT90x2xyAAt4BQAYjiTklNDfgcd2A6ydtWSTdXxyGM89MENPesACFaGThS+M+di9OkAwsAtBh8c\n"
               "CgAAAEwFgmWSAIADCwkHBRUKCA4MBBYAAgECmwMCHgkioQYVPtmAss6RSCWgZmI+R+jUdrOpnOSr1BcnvgxKhmvE5g0nCQMHAwkB\n"
               "BwEJAgcCAAAAAJeKIDiksK14mam4pGDlr+HfCK13D7cnT9h424FkoztaZES5Utv2wLVibK5GVMFOTlU/JrlSoxq6LnrRQ60HbdpC\n"
               "1bnWkbdoI+CV3p/MwAXh7uFv6CxNM9xyXUCA5bniqjGKoI8qb0DtWs1ZtPihrB0Hoscz4nPIZB0eHJtBrvC/2YLXFF6nvxh8PbtY\n"
               "Nj8CBgdgFDkAzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CwA0GExwKAAAALAWCZZIAgAIZASKhBhU+2YCyzpFIJaBmYj5H6NR2s6mc\n"
               "5KvUFye+DEqGa8TmAAAAAKJNIMz2MbHTw3FhCpyAYqt5UoOqlT13gktDVVvgp1ru03nkUApNRAO08EhAbg1bXELG3frlnOT/7lJ1\n"
               "DOa5VEjqvf/P2q6edY73axroa0In2IpJ0cAggLygplmATk1bRiPLfh8/5axhXUGPod1ux8KFs3pBpDWvMOO6JjOSgqqEY4ivXGnV\n"
               "Wt1K75J3F9Ck/XO+oRoAzkIGZZIAgBoAAAA4qoZ03oFayL1yxTOaY0QFv3L5Pr9vNMr0H8QpJRFkFI4lCST7KMdTrf54bGBdaTU5\n"
               "mtrh8LKogaLCwA0GGBwKAAAALAWCZZIAgAKbDCKhBhU+2YCyzpFIJaBmYj5H6NR2s6mc5KvUFye+DEqGa8TmAAAAAB3lIG8rvuwl\n"
               "e5xY4Na5kc+Nj5v1zW+FQ5FNGSRkYrIvY2jhZtUkTEdH6UCHDOSz/0lHRGmNkMcInxDmB5c6yjCwZU7xJ5ttOjVzVluMa8pNAzJU\n"
               "ragEGpiXR5EA/uTSmh+o2lgv6hzthgzyRazMUx7754hF3kOzQcVGypGJPzqs6ftMllqMSqi8L87XZotNZKxOKRQA\n" END_CERT;

static const char cert_v6_p256[] =
    BEGIN_CERT "xlYGZZIAgBMAAABMCCqGSM49AwEHAgMEHTKKSpnZIx624ku2QfIj04xcHTUUHnQ5jpUMJhbsqFlP9t+Aa6PLAKWGPnDiJyd5GFqU\n"
               "96gP6L+CS93fpemza8K/Bh8TCgAAAEwFgmWSAIADCwkHBRUKCA4MBBYAAgECmwMCHgkioQaS6A7uoAQNfv+247W2Gh+FErt57L3w\n"
               "51ZB7CeDZEQGGA0nCQMHAwkBBwEJAgcCAAAAANJUIIwgMyKmseQtkYKKXg7CPOsA74MnJ/v9lgBJq6Y0/eqPAQDRbBvAgkIqYSq9\n"
               "518N6A8WVchnLKjFluVA6vCHDzdNcwEAvTnWDzDu3m7nll1KbB1UFk4uCkHok8uJbxYra378HvzNFUFkYSA8YWRhQGV4YW1wbGUu\n"
               "b3JnPsKfBhMTCgAAACwFgmWSAIACGQEioQaS6A7uoAQNfv+247W2Gh+FErt57L3w51ZB7CeDZEQGGAAAAADaxiDta54Kl7wC6hoU\n"
               "+7ccsiAKw2K+SbQcSCCXXQVk/IZrtAD/SdRYBh+ua+5VCfsgNfRblbf5sK17Aqmw3VSLzKYwHW8BAPLFVXdMm8/IaMp0h+rlEMDy\n"
               "qOAgRl+8xeyXEwXB8KSDzloGZZIAgBIAAABQCCqGSM49AwEHAgMEp6kRYFUfIATlIu31stixqJRQcy3Ds6gkSpLWOBIR0jldR5tK\n"
               "4+gxga5kk3L8BoVj+mSS6xjqtwsCWOpgcAwXMgMBCAfCnwYYEwoAAAAsBYJlkgCAApsMIqEGkugO7qAEDX7/tuO1thofhRK7eey9\n"
               "8OdWQewng2REBhgAAAAAy5wga2AwxeKzVVs+uLHSnEf4/dARWjQnStHAfMvwj4BgmwoA/1T4QBGw1JeGuQjbu7rnRfyiSjPEj+zz\n"
               "z3p/QZvxILe5AP9s74BX9lfTvh36Vf2uGWa/TJkXKpYqpDfNIhthQa5Muw==\n" END_CERT;

static const char cert_v6_p521[] =
    BEGIN_CERT "xpcGZZIAgBMAAACNBSuBBAAjBCMEAYykx4AjwUAp2AiqfRt7+XCkIaJ2JKWZ2prOfYmGJU5fLei12JH9lTRZEgQjsAg7HCOTw5y0\n"
               "VuBHSZHdXpsaAh+/AAZk9QlbcLcIHa/G7DlaGldvSjNktL7hSWiillO0ldOPlvxqk2wy/bSZsKdOiY/+WcwycKZfgG8l6ydiWet4\n"
               "AlABwsBCBh8TCgAAAEwFgmWSAIADCwkHBRUKCA4MBBYAAgECmwMCHgkioQZDn2hn2m4HzbxCtinDwE1B7j+yig/X2wpJEIDYJOez\n"
               "OQ0nCQMHAwkBBwEJAgcCAAAAAEGwIFn9/UUqjDJ9zh/59jArFZ8FbMsk+YWwjTt5NIWJ0lBsAgkBajplnHeAw4U45pCRa1evt4F3\n"
               "dSalQ4ko07gmTDGNJudxG9oYM65VXSmGn7MqG9r+RYATOWo4wxLpqMhqY4RvX10CB25GCnxpxqI4qBMK4ZB1EKZixX9JJFWLf98/\n"
               "2YfkI0fU/eV/qc3i6VOs63su4lVEvE4FcVd+22cZOXL3bhOIBYLxzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CwCIGExMKAAAALAWC\n"
               "ZZIAgAIZASKhBkOfaGfabgfNvEK2KcPATUHuP7KKD9fbCkkQgNgk57M5AAAAANOMIGFPz6a08+HheVVYMv71ENPjH2QD0f5Wuq+m\n"
               "RKsM/PG9AgkB86yp0KW8nZcN6FFJwUFeRGOViKFC1M3hTz+WJapiHzHHMy28pC9F34/2Qp9fSmzBGouI2N8qTzSbYoKg7/6mVIEC\n"
               "CNI8zmP41vggSbxzmsnVvJNbDV6fXjieTSrJa1M5unQ8rGMAqKxHcSbFBCuAK+QpGRThRoUg8lUEMxSf/wfvZBi2zpsGZZIAgBIA\n"
               "AACRBSuBBAAjBCMEABonfggWZ+i6MtvozGbnF1VTNrVRUR4Als6cwnwuLQXhl7zHK8Gn7ZU8/9t9ahrgwHklboMQ3t7LNrn+2P5k\n"
               "pBVWAHeWMHkc592nBhw5nA+hrCozWTeu+yCd/2lFMkYXCOAoDAV92Cssekl5/urnHKae1mlE18FLuRGeV9SU0k4e7sTBAwEKCcLA\n"
               "IgYYEwoAAAAsBYJlkgCAApsMIqEGQ59oZ9puB828QrYpw8BNQe4/sooP19sKSRCA2CTnszkAAAAAkvogH63MO43WaNUQwdcZe8+M\n"
               "YdQke3g+5e7q6sEJSONLgZACBj7A00NtZB+BCDlDO2pwAYgQj6p7JS/dl+CAmyEMUbxQnuKm/GX6u5+NCp3EZDSLoCCBuF1PM5IY\n"
               "/T59wElTGOTUAgkB1KY6BJ+ZSsMn2dnQB0pXnZpJsuZbD30rzKLX8OlF3+F7Y7HjuYaB6myNSFruVL4n4xjc9fqdQ0IgeSAwjBhk\n"
               "SXM=\n" END_CERT;

static const char cert_v6_rsa[] =
    BEGIN_CERT "xsBRBmWSAIABAAABBwgAtQ2cw9AHUBEV4OJWHKDWeK5RCJrVIGnfMzWK0Mr/7ooa60EMnuTwKJVlkrbcjNlRkgYuIx/Teqwnh39/\n"
               "T1OnTJGxKpsbW99CtiUdoUDrooORTc18S4I6dAR/2L3AS2anbirl7/Vjhxc3xOt3Wdma69DQeGclMamGJay1341SSjPkQy6QUJu3\n"
               "QlBJFD1h/NmQcp8BmQ5Ddi9oDIIXOQL/RjO2uNYHt49y0f+s+p7tVuzub1WkByegxR4GnQHsS3hZV8ccDljtL81d4NFyWVqVn7YE\n"
               "LvmTDn21Yo+Gi/oJCfMELYIWoMiMWbG/HrlEIEguc15WaIfdYxYkWL0/hT5ybQARAQABwsC9Bh8BCgAAAEwFgmWSAIADCwkHBRUK\n"
               "CA4MBBYAAgECmwMCHgkioQYpM0PiPvGCCJXhx0bkV0kAghjM3Y+zx5Hpb6YSjPsr4Q0nCQMHAwkBBwEJAgcCAAAAAEQ7IIGHy9kU\n"
               "TKzEsWYnx0pZj2lwl9m6IY7NfeiXWeRrJRlxB/9gMiKtPcHflXsLkRqCIgHvOZHU/hYuK7iZQ1YnmaYAd9521NTCF88ujx4hoIo3\n"
               "p0uihSnqz3ZyRyGH/0pjJDsL7Nj+QXHXBxplNJPniVZ/ubhxBlKPeRVFWBZusV0pKH3X1mHNDcB0G2+gsYN8v7hyyHm4dnFcjw5R\n"
               "Fapcuo6s7JnCq00SPkGO6V7X12u5ds3sa9fUV5JCYPlJlor9iJcXlq0CAYVKlyU/ZmcYyjsztzKR9VeBsy83uTLb1PAz1z8P0Mrp\n"
               "t81wSsTGojQ6bc5O+XCAvZV4T21Zs6nEnE1YVw85zqyK6Ym1Le09FglbeFGyTyydh/HMxccizE4dq1o/zRVBZGEgPGFkYUBleGFt\n"
               "cGxlLm9yZz7CwJ0GEwEKAAAALAWCZZIAgAIZASKhBikzQ+I+8YIIleHHRuRXSQCCGMzdj7PHkelvphKM+yvhAAAAAHcZIMlZg6Aa\n"
               "aVCDkhGx7Hq80y7/BIgwrIuSv6i2mAgQ8ws0CACOhZfyEGUgK4UZlgUL/eBo2sDarhepvGTnWbbe1+fu6oNYzpfDC6t+qJPTC2tM\n"
               "rGjLNc9HWl1VqeRCXD0/MYuF1LH7DqMBA9/2I0uOOpeLGEn5NoguqNkFfRHLOUZF9JWpgskvevV8/TF6xpNFWzsxg37Fhpcniayp\n"
               "DaLLK3TE4ezC3lhAF4CRD8Sb5yA20MryN6duhkSdptWcAe0doKVtoTQb9ydi+hsGbWo8AgAZ8yznUUsf4FC8762uJbikqejkSDNQ\n"
               "DkJliMKFlgrWT9/sewtCo4adcT+WozTLhB/IryMkWbv6BAHQcZdwb4OLgSsFeVaRpkzoPnJ3vOqEhgBdzsBRBmWSAIABAAABBwgA\n"
               "opsvUpZp7ffiHrfgGHgzJIEQRpkFJzqwdaCdusf6aolThmaGqktNntTGB1j+or/J+TdkgGQKFjVZxX83DJ0BfL55CyaDpQ6fa/nU\n"
               "GTCybw0XaGNE+hoFpN5SR8YI5/bplkIDtI+mnWjH01fLzYqPeoPZZEt9TedcmDDqGEz3bSCRnO5+rs/6jXlvzYUfhWV6azO4EU78\n"
               "4EZmGA0z5YSqb9tHnTFd6l34xp5UGpS+FpjyoS3rMDrzrIsIdJzZcoOdIDywV2MYFJPb76fxBfqplXmMWxmfc02agWQXDtOkkmla\n"
               "FTXa5j26RkdrH/OWN7yvWwgKzLFLQt4moKVTcFcslwARAQABwsCdBhgBCgAAACwFgmWSAIACmwwioQYpM0PiPvGCCJXhx0bkV0kA\n"
               "ghjM3Y+zx5Hpb6YSjPsr4QAAAADZcSBlNC2T6PB8iI9QEDdy5kqCrBBDoOt/DnjsvHLOq9+ynAgAp341kIN/0DWlQlm+rs/l5h6x\n"
               "68SWc/g2MK/UsbPlCZGgpn64CEI2XRHYuhDfUP/MLPVAsCiET8Y9Ou4XmEr9r7wbgXzfE8gFRIQHWqFUkxMiwLnDevRsspNZRpKI\n"
               "oaXvatGeFVtGCmDtLnv9mXQSH9yoAjFGVy7g1dOOifpftsIPY6HfMjw4vGbdpNEdkQi9YA+uwXtpOUJFdk4C2yON6xGz2OjDTrbH\n"
               "CzjTkQ0vCegpgK1uyt1LTcVbJQo+kC7UDZtY7dymluuXc2vDRLyjpT153mTrHSzmvOPqgwhudaGDWtYrtEzfyCnSarAwyg+o7F7H\n"
               "x6Oj25dc0XRhsHe4Wg==\n" END_CERT;

static const char cert_v6_expiring[] =
    BEGIN_CERT "xioGZZIAgBsAAAAgXVa4yxjQINHNMY0X7G4rF7lMvncTDoX32H633wBpP3TCwAEGHxsKAAAAUgWCZZIAgAWJAeEzgAMLCQcFFQoI\n"
               "DgwEFgACAQKbAwIeCSKhBrYKmeti4zwunu5LXdQdSeE7iVb3o/voB1EXlIzXBPajDScJAwcDCQEHAQkCBwIAAAAATXsgbY6mvipt\n"
               "3JcT5od1b11/48BfDM3fv5b4wE7HwqayTU8GQe7dhnwVibViZzZWJYUJtzPlc+Y2Iu2zi/muJRC+7sI+s3w5BSRzWcCUDZr2rz6d\n"
               "Za+e9NduB68UNU3M9NwCzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CmwYTGwoAAAAsBYJlkgCAAhkBIqEGtgqZ62LjPC6e7ktd1B1J\n"
               "4TuJVvej++gHUReUjNcE9qMAAAAA25kg5l282ecnvVBEX/WYNxlqXXHQoEUD7+WyptdUE+OT60aTyPxVe6z8KMNLZ5admzgCojEq\n"
               "PDR7hyPVKFA73P6rYh+ssrvE1S7uYdDjjkaGXVWGINP65gotQdMBO933W44DzioGZZIAgBkAAAAg1dw4jMv5G27aaE/Vp1Oc3hUT\n"
               "Rs5+NLxXieUhMCkCEh3CoQYYGwoAAAAyBYJlkgCABYkB4TOAApsMIqEGtgqZ62LjPC6e7ktd1B1J4TuJVvej++gHUReUjNcE9qMA\n"
               "AAAAZfgg3tvGk2oJ9WPoX0DcWPSlSz3DaQGM8ysRmdyda8RNE/3GL6oo8ehPGZSDziDbW+7QUwgb4WszoOIzssGKt0s8avzj0nE2\n"
               "pVHS0MJmJTp5TjbnQWl7ONkQpb7DyQNGY9wP\n" END_CERT;

static const char cert_v6_revoked[] =
    BEGIN_CERT "xioGZZIAgBsAAAAgcPDHF93zaxlzyzUfoPM8Nd+IRbPuVgr+2yfjSYHCenDCmwYgGwoAAAAsBYJndIWAAp0CIqEGzNQhXGxkbNCf\n"
               "KNP5AV7r8uT4STkLLrLSdUDeFsY/BhEAAAAAz4kgwFh8FeiQlB5PYD+gDcnMaKgOxjO6n6xh6OGOjSV54xd/nM/loIV9+Z6cj1AF\n"
               "ByrQKAxevwH9KQRY61an2jaYvIbl5p80RFZhizI+p+iNDkSG/bTQrQo+1QgCK2SrxHsOwrsGHxsKAAAATAWCZZIAgAMLCQcFFQoI\n"
               "DgwEFgACAQKbAwIeCSKhBszUIVxsZGzQnyjT+QFe6/Lk+Ek5Cy6y0nVA3hbGPwYRDScJAwcDCQEHAQkCBwIAAAAAN68gYIjBSLGp\n"
               "WmlfqVGRt+Du+claHWLsP8+syPOVlGFfFcAL/x8N6QOpUgzEPp79ueZM50gJCdNw+JcXpGRjXI1LKogsfFzShGxjP04akfoNJZVL\n"
               "+mxL2FQa1e7sb4JItNcIzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CmwYTGwoAAAAsBYJlkgCAAhkBIqEGzNQhXGxkbNCfKNP5AV7r\n"
               "8uT4STkLLrLSdUDeFsY/BhEAAAAAa6wg1EaPjg4CqOZVqeptOOt1gE57fVyALNGN3nKEpUz6HQEM+8QWtGFaLpGdISNZR6VIbFMb\n"
               "qbG1PJncQlL+uX1ql39uWqcMiacKgR6YrWeT6MtH2zdhcxBdL+au0rZrN98LzioGZZIAgBkAAAAgdtO7qLEnQkL/DFbNWMJ3lL8U\n"
               "z9g6VacpnPljtYZs5wPCmwYYGwoAAAAsBYJlkgCAApsMIqEGzNQhXGxkbNCfKNP5AV7r8uT4STkLLrLSdUDeFsY/BhEAAAAArGog\n"
               "Rs9NoQiwU0o5OSWZeyIs73n23EctMaUmHpvxtxMfQv+WO7V8IvF359kOj4kjifOzywB9rTe6mYwyp/DqiDgt4snbzVvOoms1jr0D\n"
               "Cs+D5I5Sx1cvSrf/UVWVRbTZVNwB\n" END_CERT;

static const char cert_v6_retired[] =
    BEGIN_CERT "xioGZZIAgBsAAAAg2wgFRdWRDhQacj9/GWHe5hmryIYvczA40x46q7GQGO7CmwYgGwoAAAAsBYJndIWAAp0DIqEGK7Q7ugGbyJiC\n"
               "IdS+WdRLA6B+ua1OoYKotRjlvDtWumcAAAAA3j4gfmTSjdk76PlOhExcOWSa7lpdxt+b2wZlsTD1gv+KTah5tdKBTbrXpfiTFeV7\n"
               "AF1gUYGozm9x7g+tfnYlNnYTIRbBiTi03yRmOJtmni4tHJN5b0b4/e6dwHMMkjBLWTkEwrsGHxsKAAAATAWCZZIAgAMLCQcFFQoI\n"
               "DgwEFgACAQKbAwIeCSKhBiu0O7oBm8iYgiHUvlnUSwOgfrmtTqGCqLUY5bw7VrpnDScJAwcDCQEHAQkCBwIAAAAA52cgk+LL82VC\n"
               "QP8wEjZwJLZXCzPqwTKFqBkVGxsqH/e6WoUe0LK77s1O2EIMfd8Edbvc2hD1aANj3TCvrPwPtQA7CHK+noRAJ/DhUbhZExmumbX2\n"
               "dF1X8HUgtGpvRlaeiEIAzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CmwYTGwoAAAAsBYJlkgCAAhkBIqEGK7Q7ugGbyJiCIdS+WdRL\n"
               "A6B+ua1OoYKotRjlvDtWumcAAAAAawwgMiKcHa2RX+TRDwuH4ln0A66CMMHXH3cIlqyygvE22NobykV9ISxFVdIfXIdqdtEykBi5\n"
               "vtR/HT86kx9s+mY31g/hE8NOFrOVI0dI85Ctj1eu9KIyMjeN9VhuGkLQgoMMzioGZZIAgBkAAAAg0QtXNfMHGes3NlvqEBISYQ7B\n"
               "bzXt/a2n3rzOE97c9X7CmwYYGwoAAAAsBYJlkgCAApsMIqEGK7Q7ugGbyJiCIdS+WdRLA6B+ua1OoYKotRjlvDtWumcAAAAAGJ8g\n"
               "5Bcc+yirErJjr2L6aXoG4tbTeL1Jg34PWvs/wCY/Wbm1eDFbb3ZbKwanzkOqNKKIKTfzCq8S6zcwigPjBQDwUsmh2QmQavGhbVMD\n"
               "j8syXj4tABK3DaCbK7jMejuQ1V8J\n" END_CERT;

static const char cert_v6_subkey_revoked[] =
    BEGIN_CERT "xioGZZIAgBsAAAAglenH5I4PqvJkxWQyhTakDHEljnjWOXNPyFq/ElF61QTCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
               "ApsDAh4JIqEGTJ9U0+em5O1NR42hyrkilhqZZbv3IJIRWj+KV5nLiTkNJwkDBwMJAQcBCQIHAgAAAABUFyAng3r8oTuh1T1LZdMd\n"
               "UPfkDcSAp6YoxBz647ooVzQMopVgXCXTfdXscfMSFLo5A97Y7Km5KdzuT9NVZ1X7/VRrQFeKczx/6m3ShrytDaf1Yl1lTuNxRNde\n"
               "3EkskEzn8QrNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQZMn1TT56bk7U1HjaHKuSKWGpllu/cg\n"
               "khFaP4pXmcuJOQAAAAAZvCDZLDC2wv6ghpqQcz26OZaSr4CM8HqlrUOmVFfWZp910XU6B7Uc3Y9PrmQoGUHJkADuxFA4ysJGhQ0A\n"
               "zU1V6zYKKzWU1ZriFXQPa/vIdAGQLCJzjPeNIIkNTqBPbFMfEALOKgZlkgCAGQAAACDmx7diYz3OLqldqd6Z/kffFiH1CcY8jd0n\n"
               "m8H+AoJGKcKbBigbCgAAACwFgmd0hYACnQAioQZMn1TT56bk7U1HjaHKuSKWGpllu/cgkhFaP4pXmcuJOQAAAABjNSBZbEG5yoWZ\n"
               "tP+fZxVhI/JqQKTzYfMRjOOoButamaLH4kMjI+AkJXCZI0033UQE0wkO+stjyskmR8IxWtHI3gkyGLpn2QV2o96CcSI01jMAKK6l\n"
               "UyHwLzdYQNOuCiF/RADCmwYYGwoAAAAsBYJlkgCAApsMIqEGTJ9U0+em5O1NR42hyrkilhqZZbv3IJIRWj+KV5nLiTkAAAAA9owg\n"
               "tD3RgiG0wj6OPYG56GP+glNibQaMlQyXcCV2s4cFOrtWUDeq0HuLM4rR1lTFKGQpTbGG7teSthVKya/SUF8DbXB1M+CWGgUuwwnD\n"
               "7zcnxu00eQn15/FThPRFcJ7cev4K\n" END_CERT;

static const char cert_v6_two_subkeys[] =
    BEGIN_CERT "xioGZZIAgBsAAAAgb6+/6WP6dMCp3uRasdvwDDtr67RGk4GYubgOTK2FAVvCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
               "ApsDAh4JIqEGRzuDPrwZ5kWBX9pZphttp70dapyLnOxS5Zh/VFRawPgNJwkDBwMJAQcBCQIHAgAAAADuaSC7lgrb0mLu1s4nQbq0\n"
               "897053b4LWbv7AUldHok5BKcyyZvDB6rKd/wKCtgg8Ol3FZTHbSQPSS+8/6M71O2qNqpKi1Rs1TRygG8C/A+bXm4NfbpBdEy/XnR\n"
               "++q0ahHrYw3NFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQZHO4M+vBnmRYFf2lmmG22nvR1qnIuc\n"
               "7FLlmH9UVFrA+AAAAABJjyDyMhjywMWBTPtUkCrg4e/N5GH3g6/qfHT4Lc1nuo58byh4eRXiblIGNduMT7IlBCZqaU6Oow1qLk60\n"
               "ozpp7WFnKzeB9WAFsbrsKQpVX//AigakxfZqS8FpkiKE6oDfpgrOKgZlkgCAGQAAACBioKdmgOeBVmSQYgzP+z5Jqpbg9tfHFqUO\n"
               "aoVKt4iIHMKbBhgbCgAAACwFgmWSAIACmwwioQZHO4M+vBnmRYFf2lmmG22nvR1qnIuc7FLlmH9UVFrA+AAAAACl4SBo616GyM2k\n"
               "h6v2qEN9bDGIWmKiH7dzcjcIFyQw+OTq8/w39jXDIgnazzk4hlAXu35FUKgX5mgQbJ1lwDZ6PM+XiVSHg2hZE4taEAXFOV05Uwwe\n"
               "19CCuyBlOpZSsd5U0wHOQgZndIWAGgAAADjbiRjPhzmEL0jJB/eGlIjURpzcHxX4KNW3rE0eETlhZOZndjHdptP7eufTJFkk2HDK\n"
               "oKdLzP5SPMKbBhgbCgAAACwFgmd0hYACmwwioQZHO4M+vBnmRYFf2lmmG22nvR1qnIuc7FLlmH9UVFrA+AAAAADYDCDf/0dPuFhA\n"
               "EinXRyi1HgbGlineTj0QW2rAiViqz3FJ9hS7HRpUWB4z8Dsw5QpbfJUu9GEM5wP/CsrWwGlDLdFb7FkZ54zz5wAJMf+SnDwzvmFV\n"
               "rR7wIuP6IKXCWB3dPgI=\n" END_CERT;

static const char cert_v6_signing_subkey[] = BEGIN_CERT
    "xioGZZIAgBsAAAAg+4MjBlZ1rOo0XDtGEmd/Jb0vFBg6iDwtGMKuzhVYh6HCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
    "ApsDAh4JIqEGg/aec1BlsmXHKBXMOleitdOl6cidKye3Xb6PFUXDNN4NJwkDBwMJAQcBCQIHAgAAAABx3SAzM1PSHPD5O22vwCet\n"
    "Xv62/LheJb3Ixg2H9Xg9Yzq0N24JDdj9SAygcDyWJ1i+gu+bNUrhEBxtoj87M7Zq+9gq38hwB4NEwrHTPVCObfuAn+Cb6XmKW3LH\n"
    "RJjr7hn9PQ3NFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQaD9p5zUGWyZccoFcw6V6K106XpyJ0r\n"
    "J7ddvo8VRcM03gAAAABEOyCnk2wbFtcO+UEHvwtTI3WEIyxY+8I6gBfooxcaf41ka8YUHI/ob5EwXRD3Vy8kBSWiLfg/Jo/C7uwx\n"
    "oYFTns8rOSAVzgVOK8oB39xIQGJ4TWYoVP+Z+I+HGFNYF3LE7wPOKgZlkgCAGwAAACAvDZPVj4U6IELTRd7E1wRSEZePjLioFtZo\n"
    "hv8S5n+UbsLAdQYYGwoAAADGBYJlkgCAApsCmaAGGRsKAAAAKQWCZZIAgCKhBtKhCYqvk3fh4ehwMz5AYXxCL6A3lggtF8AOQR1Q\n"
    "wVWWAAAAANQCIK2WDL4x/Ng9jYZA/qaobyY9+TkyCTpnjIDwtL4+mopbG0KY7YFQTRJucuWKFGrmXtR5G6NyFXrhvmFv/QhNK4q+\n"
    "pn9UcSJi0e/WpbGyNqJFyv3L2N0UIIQR2u9elic+ByKhBoP2nnNQZbJlxygVzDpXorXTpenInSsnt12+jxVFwzTeAAAAAPGkIIAP\n"
    "o5gk9K6pjzklVVUpkAgI7jQ/fVD/jSIe5XYvTpiK1cL2LRN6KCmfGl3t5eJzZ6e2s8BBufp0LqNuUAFiA4SqVryKS7PcUTgMlERY\n"
    "C3WzvidcKqXN4V3xLlweRW2oDM4qBmWSAIAZAAAAIOQY7KM5LireT8DW4Re/1XqD8S2Tibood/NkA5b4wjY6wpsGGBsKAAAALAWC\n"
    "ZZIAgAKbDCKhBoP2nnNQZbJlxygVzDpXorXTpenInSsnt12+jxVFwzTeAAAAAINeIMxbwms/erjI29sG9ixpdohLZmBgeKF+w33R\n"
    "MDqcXJLqadaSEb3zjaLLEJGOZ53uVoD7vQnL2AZREaRPh5J9OlFPmq6z5ulWRky/d9rmtOJbuYvxtOFJHyWzL14fvaaHCg==\n" END_CERT;

static const char cert_v6_signing_only[] =
    BEGIN_CERT "xioGZZIAgBsAAAAgwh6Yuvl0Q2I9aGXNZW2DBGaNdyK4GQMbQlu1iD8H5OPCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
               "ApsDAh4JIqEGuCjeaHpuN9UgfB0e7H83xHdYZofunOlQC3EtxLCexkwNJwkDBwMJAQcBCQIHAgAAAABrriCzXt676K52/40qj2oq\n"
               "uYG+lOTBXzUHK1Ci/lszjrjNWtYndf0fcXwxUm9b6L+o13v/GA9HrgCv29Ra0xeAQLoWr/0Ti0UDyhtSeJFI2mZ5ZXqRz+8/OQzy\n"
               "PmLAvy85vgXNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQa4KN5oem431SB8HR7sfzfEd1hmh+6c\n"
               "6VALcS3EsJ7GTAAAAAB60iB38UtzLtOBeln+TWG6k7+31c62uZnVTdp5DW4bEXi3q3cP3Z25siqg2sAZZlpO1MBljp63mtStY09G\n"
               "CoBnOEXlTMTnNxQtfA77Kep2huDkGqbt0X1YwYRU4ArLn2Xh/A0=\n" END_CERT;

static const char cert_v6_user_ids[] =
    BEGIN_CERT "xioGZZIAgBsAAAAgyAq5drfP7adwQgrcpbVyP2YV5mjqJaltEo+PmiRDkfPCuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
               "ApsDAh4JIqEGlR+aBEu0P7qfLarrHBsWdxGfYleYLtjvwWZYN+N2kI4NJwkDBwMJAQcBCQIHAgAAAADcxSDYSPpGwVrjhl65ZfpR\n"
               "KIeZmx/9MWfLvAFoOJkPciPuUTxYFGxwgonOylCkDsB0tJmxqFF1ajktdbL+IlVJzhkfFRIUsr0k5jmRpWkWM8bqgTDKcnocgBDc\n"
               "DZQ3KxkqTwvNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQaVH5oES7Q/up8tquscGxZ3EZ9iV5gu\n"
               "2O/BZlg343aQjgAAAAAfViAJ7sNPbIfQsA3eZKutr+B5b0LRM+HTBdaiT20JbFlCLY/888tp5M8m5tUOFfoQjxiQDThVFnW/hlc8\n"
               "QmcwEZnj8TXUbyN51FTO4GHoRyL2ueSVT/ch80d3i0X0IfP+3g7NFDxzZWNvbmRAZXhhbXBsZS5vcmc+wpgGExsKAAAAKQWCZZIA\n"
               "gCKhBpUfmgRLtD+6ny2q6xwbFncRn2JXmC7Y78FmWDfjdpCOAAAAALAWIOLdvUQutIxvEVlIScTR6cUGwEXJfGoedTO4Bwas1br1\n"
               "E1V3BPo5SxVqJL1I6qlhPuDI+o3yUgw3AYlzML2aBEqysdfu53lYlR7/CXYuXAh2GSumB6sbVwRKisvXsnpoD80FVGhpcmTCmAYT\n"
               "GwoAAAApBYJlkgCAIqEGlR+aBEu0P7qfLarrHBsWdxGfYleYLtjvwWZYN+N2kI4AAAAAg4UgL8zf1ShCOpsmWrHgFWaMTX0Tfq2I\n"
               "XjdGP+MrvVFd9RM9+4lQyXA01duvdDIAM8GxhW7LeKWoHxp7vYfuwhA8cKANrQsQVm5Eo1ZK5MH2GeYKHHFZlp0Dn4XnnEqUr6wH\n"
               "zioGZZIAgBkAAAAgQMOGBjIiIsLRSfe6S8VGkzOcRHvWiYrgRk8uFZ6ZEz7CmwYYGwoAAAAsBYJlkgCAApsMIqEGlR+aBEu0P7qf\n"
               "LarrHBsWdxGfYleYLtjvwWZYN+N2kI4AAAAAC+YgMxS6O6Xa/ZwacQ4LrrV+huqyvwAZJMQh/qvuI/N9kXa8i4liqTLJOsbRTXbj\n"
               "dltKq/Nk+yfBZcirrHyxcDbh3dPHAOmqmUpCbm8/d2Bay7o943bfDfPzuHO63vrq+JIH\n" END_CERT;

static const char cert_v4_25519[] =
    BEGIN_CERT "xiYEZZIAgBsWvBT+jNrty0K9JP7oQH9GzSKuEeKJZ2sQ3dtd/m8Ijs0VQWRhIDxhZGFAZXhhbXBsZS5vcmc+wsAPBBMbCgCFBYJl\n"
               "kgCAAwsJBwkQ3iupIw5BhvNFFAAAAAAAHAAgc2FsdEBub3RhdGlvbnMub3BlbnBncGpzLm9yZ4RycJJPAVmtfVKA9oQLjRHe21GA\n"
               "8zsr5x5+mamvGzIjBRUKCA4MBBYAAgECGQECmwMCHgEWIQRG+Yjfceyw4Msbso/eK6kjDkGG8wAA5+8wk7OAf3OMCx2Yh01pRoFs\n"
               "stcI28YspgKMBFvdf+8cnrW/4P0oShB5xBuXWKKdxEk7oY1wqfLeflZJY5ZPiWEEziYEZZIAgBmoqd/UlgIJJlyqvC7viTlHdsdr\n"
               "Ps4qwpdXYl6OSVefL8K6BBgbCgBwBYJlkgCACRDeK6kjDkGG80UUAAAAAAAcACBzYWx0QG5vdGF0aW9ucy5vcGVucGdwanMub3Jn\n"
               "LnujBJCAQ0wgoc+Nz5VrqDV+7lMQdJ4aEniwlllTPCUCmwwWIQRG+Yjfceyw4Msbso/eK6kjDkGG8wAAObP4J2xE7kS4hcgRdNbr\n"
               "E+zbD6VP5V4L3myRtU9kgoUKXIFlk7XQ9jKg4fBt3zXX7c6fQN6JP9jw24CrPjJNiXsC\n" END_CERT;

static const char cert_v4_448[] =
    BEGIN_CERT "xj8EZZIAgBzPd24Ztzm6h/VFdx2Y4dh3u/Ad//ySBEH1/c6QYFQMychr6+UjIF9nQlMRmdFC81WZ/vPxSZuFlQDNFUFkYSA8YWRh\n"
               "QGV4YW1wbGUub3JnPsLAQQQTHAoAhQWCZZIAgAMLCQcJELhK95gqJzAORRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bq\n"
               "cy5vcmd8OMRdhOL4E9pNLdxyK1JUIp6u+DG0n6sLfgKZuTcWPQUVCggODAQWAAIBAhkBApsDAh4BFiEEVBPrlAF9PTuseXp5uEr3\n"
               "mConMA4AAPNMdo5I7Xky2BNVYLUDR73mHPqHi0e7anER4Lwi3OMasMo0gpef08bg11h4V6nEP4YYaiEDnGL6h4OAJv8dd1gtGH1s\n"
               "4GPs5lNDshFAROtK20WLG1GH6usOZiwI0IQ3swRTzPpnh0PMQPKo5Fy3BgFxMDoAzj4EZZIAgBp00Ngntv+D+E/39ThtTWNIOFtu\n"
               "DZvfmrO9NpZJ9bhA8rWniB+gj47P8bxloo77WbQAGhVfbYiMmMLALAQYHAoAcAWCZZIAgAkQuEr3mConMA5FFAAAAAAAHAAgc2Fs\n"
               "dEBub3RhdGlvbnMub3BlbnBncGpzLm9yZxs2aGvU83vVdBkZcm4QSWRhIZoyYBXGdGAZxRADKXYmApsMFiEEVBPrlAF9PTuseXp5\n"
               "uEr3mConMA4AAMojQgXKS+xgMjfEMCyHBvYhiLw/znPsMISZ0Mvws4kAbjXP9tNP/4Pw89Scqbymd3QakCvcIYgqjrKAU7kZpCM0\n"
               "9uVrPYaAVpgo1ZuZsaDlhZUPHAg91lZmKmey+N5KEqN06WCDVO64kniNk339YM8NfDQA\n" END_CERT;

static const char cert_v4_legacy[] =
    BEGIN_CERT "xjMEZZIAgBYJKwYBBAHaRw8BAQdA3ID8ivFWyaxeSZoEwufztkE/LSJUqj6nmV/3V+7btSLNFUFkYSA8YWRhQGV4YW1wbGUub3Jn\n"
               "PsLAEwQTFgoAhQWCZZIAgAMLCQcJECkk22F6GX0ORRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmdFtxGlHVDK\n"
               "HtRYt+FXDAEgu/dJI5Snfy8EogAvxUT2KQUVCggODAQWAAIBAhkBApsDAh4BFiEELizc0lbhG+tkqnI0KSTbYXoZfQ4AAP9gAQDG\n"
               "YbiHCjt3VRORSLJlaFtJlzWVaDFKb1xOpX1jXpaICgEAv0yM5BzkYgrg8bm7R0jkm5DZvngkVuxD8X3lhC0jjQrOOARlkgCAEgor\n"
               "BgEEAZdVAQUBAQdATyQdvDGBZfab810ghpK9e22Mjo9C9HNSbIElzH+WwAIDAQgHwr4EGBYKAHAFgmWSAIAJECkk22F6GX0ORRQA\n"
               "AAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmfeT46sgDr8g9ODD54rIVjP6EijH9vq58RPEfCMQKvkAAKbDBYhBC4s\n"
               "3NJW4RvrZKpyNCkk22F6GX0OAABMqQD+LsqQk2XRh2H2DexbL7YiOee2TaUmh4a9hHtRozR1wvIBAODEd8YO72MTC+KtTDbJLNCu\n"
               "Fm4GQwE2Ht6Fg/K6vfEK\n" END_CERT;

static const char cert_v4_expiring[] =
    BEGIN_CERT "xiYEZZIAgBs9pEP7q0rNqzjIDrGTV4dutyL+grjb+zSIl4sJPsW88M0VQWRhIDxhZGFAZXhhbXBsZS5vcmc+wsAVBBMbCgCLBYJl\n"
               "kgCABYkB4TOAAwsJBwkQ6kiSgdRy+LtFFAAAAAAAHAAgc2FsdEBub3RhdGlvbnMub3BlbnBncGpzLm9yZxmH/HRnTorWf8AtC7Y/\n"
               "bN60a/vvQuUoItM7ch/Vv/nMBRUKCA4MBBYAAgECGQECmwMCHgEWIQQUVGhqEC714GKQXGzqSJKB1HL4uwAAgYQs+/NSy1FLc0Fc\n"
               "mAU6CR9rQowPKxIqjGhYabOm72Mulc5gOQKZgaZ4/xlqQroFR80/llTb4JWmzxvhGR46dqIMziYEZZIAgBkAkID1lQ3ODgyKyd1j\n"
               "BmjHoKTi3gJLsZYM34vZAfLtR8LAAAQYGwoAdgWCZZIAgAWJAeEzgAkQ6kiSgdRy+LtFFAAAAAAAHAAgc2FsdEBub3RhdGlvbnMu\n"
               "b3BlbnBncGpzLm9yZ7e+Vj0WpU9YWORCWq13ti4trDtcY/V3P11BBI2XClkLApsMFiEEFFRoahAu9eBikFxs6kiSgdRy+LsAAHWY\n"
               "gl82qduLy9RuJ+Rnwi2GPYvkU5FlIA2Ecw5PUhQ1fq+7ngd8Y9G4k7n0bQNrLJpQUG6JuukSaSiitpQ/jdZoDg==\n" END_CERT;

static const char cert_v4_revoked[] =
    BEGIN_CERT "xiYEZZIAgBty8jQsF4eN2GT3xmr4v6VVvBE83EURVZ7J2/WkRhUd68K6BCAbCgBwBYJndIWACRCJWc57sKdd0UUUAAAAAAAcACBz\n"
               "YWx0QG5vdGF0aW9ucy5vcGVucGdwanMub3JnahUza3pIWNFxEoQuuH5Co80v1sn5MWUDwmIlzHB0uQ8CnQAWIQRvdq8jPuP8AHSM\n"
               "ByCJWc57sKdd0QAADj0xND8LoNUvUKGl4Yg+7VvHGcuwzX9zS5dIpk0R0e8a5hpG2mSzdzpcjm816pZJRTREbQ1IZ4XzxnltpSU4\n"
               "zpYAzRVBZGEgPGFkYUBleGFtcGxlLm9yZz7CwA8EExsKAIUFgmWSAIADCwkHCRCJWc57sKdd0UUUAAAAAAAcACBzYWx0QG5vdGF0\n"
               "aW9ucy5vcGVucGdwanMub3Jnq637xS8BVjS8r7A3ma2lEnwPWtF12uGYwJUK8gGb00gFFQoIDgwEFgACAQIZAQKbAwIeARYhBG92\n"
               "ryM+4/wAdIwHIIlZznuwp13RAACF3jdrrwHUCSwDsg+ikkHOuF4YTcmpCIEQallZqQOxea6Qsz1kY83QvwXdgzUUtpKistHtLW1a\n"
               "0ci8/9b/XpjOeQLOJgRlkgCAGa/SwcSjyWJHu9ecBXv7Lm9uIHjHogYyYAG6e1IkA70jwroEGBsKAHAFgmWSAIAJEIlZznuwp13R\n"
               "RRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmdTaLdCunB1tYnW/e2wrK/IyWfTrby0gz0RONKDtLTitAKbDBYh\n"
               "BG92ryM+4/wAdIwHIIlZznuwp13RAAB0xga0HjZ3jm5onWInXBMu74z4/YZ+hO3+Njw87qlpYGJr+62zFbcmkKhtGREKfoyxf60j\n"
               "GNx9eXb7TOlvFZme+AM=\n" END_CERT;

static const char cert_v6_new_after_revoked[] = BEGIN_CERT
    "xioGZZIAgBsAAAAgolRf0t8NqrjEHqX/q/otpMkaJB2mTgPRjSO9c3Y2rp/CuwYfGwoAAABMBYJlkgCAAwsJBwUVCggODAQWAAIB\n"
    "ApsDAh4JIqEGJQTPRPrYhANG5kDZUiROSOqdT+SV9o1X7tqg2MP0P8cNJwkDBwMJAQcBCQIHAgAAAAAJ+SD+k9UcIgDggeBbJ8gA\n"
    "PvD22Sv60+jtJQzazwtx8o45WYk9hKp6xbRSazK+j4gw/tU4mYH639s7wz47oUr41r2Jjl27COHxCh03qnD4p5CU+kY6/13Vo2ea\n"
    "XQHIubWgoAjNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsKbBhMbCgAAACwFgmWSAIACGQEioQYlBM9E+tiEA0bmQNlSJE5I6p1P5JX2\n"
    "jVfu2qDYw/Q/xwAAAAAHsiDeCxBUQjg21tlh41EHrX1HPiCP6o8jL6fKpufjXw5TR7hc1YFeu3yKOCFM2jHbCqCnvP6fxRUKNrgw\n"
    "YIQwkQ3fngcIWnczq1ZForVhw1ce1MNh19RN90ROMKVMvBIPFQXOKgZlkgCAGQAAACABjRr9A6caM1508BFO5/R7ywWTeYCEGa82\n"
    "+V0KwwrSK8KbBhgbCgAAACwFgmWSAIACmwwioQYlBM9E+tiEA0bmQNlSJE5I6p1P5JX2jVfu2qDYw/Q/xwAAAAAcrCCJ1jJwXZ0Y\n"
    "IabaQJorPve3gR1BnxwtX4oFBL7KTnqqn9M7l5TjlFyV7bs0IJ5WHyhW5AER2t97ppMC1fVgJiQvVXxN2zL9irLPVQW9p4fUFY5K\n"
    "zGD2yGJjAt/4FHkJ9gnOKgZndIWAGQAAACAw6L+6tnrZJrstbWZjioav5IHzFCJIOESWsarltEYkPsKbBigbCgAAACwFgmd0hYAC\n"
    "nQAioQYlBM9E+tiEA0bmQNlSJE5I6p1P5JX2jVfu2qDYw/Q/xwAAAABpBCDFTy0BF0pcxK/BZOSir/ilEWDYRyv6aQtwXDF18Tno\n"
    "G2NbYddmfGYVlNj3e6mHLbK+eDEYx9tIBVv/pIULE0FbWrAaEHHPj6UBhVMjWtBNqZmE38iqllTxN8UJKYzUTgPCmwYYGwoAAAAs\n"
    "BYJndIWAApsMIqEGJQTPRPrYhANG5kDZUiROSOqdT+SV9o1X7tqg2MP0P8cAAAAAr4gg3/iJYvdnsaAdTFUdx08oVCv/bZRRABYQ\n"
    "f0YFlpKT+S8oUPx7Xnh8HQItqgZMhVcfzpE98Yw+zOiJhmwjSX97RpHNvOy7l4sFEs64E2vg3bBJRQkv8eu3NaEY87kuP2wO\n" END_CERT;

static const char cert_v4_legacy_x25519[] = BEGIN_CERT
    "xjMEZZIAgBYJKwYBBAHaRw8BAQdAYU1Bo3iF6GbUWGQ4vNoDRm4MqOR97Ds8zBjIxL0VQVLNFUFkYSA8YWRhQGV4YW1wbGUub3Jn\n"
    "PsLAEwQTFgoAhQWCZZIAgAMLCQcJEDglF3mPfkrYRRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmcOMI4Gjptj\n"
    "SZSu1VC4kNHw+JP99PaMOUdksZsbDdaQAwUVCggODAQWAAIBAhkBApsDAh4BFiEEipFOYVZyavdwfbfJOCUXeY9+StgAALAfAP0Y\n"
    "b34gJkmbp26qPHqnt2vrn8gu3tFXZ2CMGd4mzlCqWwEA0hVsLQQXq6r30d39buwoXXKG+az/KtY5i4RIK1t4QQHOJgRndIWAGQxX\n"
    "jM+hbGs6K2HMg9eMIgAyIdC/L+3lTxJI0HsoLa4Ewr4EGBYKAHAFgmd0hYAJEDglF3mPfkrYRRQAAAAAABwAIHNhbHRAbm90YXRp\n"
    "b25zLm9wZW5wZ3Bqcy5vcmdIikKuNM0hdHzKQjl8igNfdVJxG7NrTfkXg1MHfZndSAKbDBYhBIqRTmFWcmr3cH23yTglF3mPfkrY\n"
    "AACWbAD/fXssDk7U2EKlifnSLEAP6HKaq56yNS3/ccVn1mOZ6RsA/RSkHVnfjDOYo6QZeMLaZwTNL3u0g2UisX2JQyvI6EsF\n" END_CERT;

static const char cert_v4_rsa_x25519[] =
    BEGIN_CERT "xsBNBGWSAIABCADFmRkTF/yfpX2rVtXGMVGSwBqZGz3m0t/Tx0tnepHshFLQEEWySHdBTlmksl4I04uCsIqDVCzH1grhpXnE6stb\n"
               "iL8N2zKGd1+mHk3D+XX+GSaHoQIwaYQ52agYNsWjtzUcY4HJFHGGvzUYPBfmfliixBog+t9U+TXT+LTKGouclat3hWEGPQtFKl/N\n"
               "+Qh0OXU+IVarVLycEi1ikBdPmnJ/i7pTlh3R3c3+oFXDpG2SlJQk29G+3QBdhXDxKuawVljpeEw1vUj/p0kFvEWWe8NK6CiHuRiJ\n"
               "LDeehW3I7fNv85WRA1FFXtY+pTGW/oTpzpQtrnAbN78GBQ1NQ27X+mkjABEBAAHNFUFkYSA8YWRhQGV4YW1wbGUub3JnPsLA0QQT\n"
               "AQoAhQWCZZIAgAMLCQcJEBSjC70wC8A1RRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmcag1tOkXn0Useb8otB\n"
               "ALyqrS1rKsGS46K0wKUK1pcv9wUVCggODAQWAAIBAhkBApsDAh4BFiEEvcFLhnsCnYvuBGEUFKMLvTALwDUAAEJ1CACNKGuPLGBy\n"
               "IuGJkNL/LTUyFMntsCRiGYLKnO/mj+Xq9W1XxGMItkz1LNHLWC9rHBgyiQFrgaX2toIiyuOQoPkTbm6SpB9M4janCRUJ1dvEcZp+\n"
               "YX1RFzbHJGnJAX9cwQ5CTUkJqFY5H/6iA2Lm/LiK2fu5j8LBXRrmz4zGo9ol6n7jddltreebnPF/5+vakFBjd0gd2af7CA5CRATH\n"
               "lQ8Yf2h3OAfuguPmTcf/bDjA+Iplmee+8kq+wl2KXw0xHYAlf/5iJwZE3FnFhwZQRLeB3w1hDab6NbV2jvcL055e6OHrzuH4eKNF\n"
               "q0BP3HlbepMobxx0ShqrZM6R5v/T6kkvzsBNBGWSAIABCACmOBGTndr+kAFTyFf40v+PVut4EvdwQQKzGnH5MMEHm8QJkB2tjmGJ\n"
               "/9g7hCb/glHNlluxBGU2wGhjKofbAJLCnp3GTOZS87DK4mA3WZt8Eqj+iw8vGnHHnAQCqRALbLpxQHRYbuGvJv0Nkbf5rVeUuVCo\n"
               "cxqEWyDZi5xCbwi+SB0Zv3DJCrwpc1+h7jLWpqZXWKGNTO6j5uUNFCGQuXSTcfgxgXcBd7PZDMf1VKZUcxhpUAhR88iJVT1OcVDp\n"
               "VbhM+L5lXiRoFu0oA39FWvQUaCbXajq9gmNvdoOnG5apWsNATxsG7sQB/+1wdQoshJz2ieVB0TWzVpaQlKEQZzzLABEBAAHCwLwE\n"
               "GAEKAHAFgmWSAIAJEBSjC70wC8A1RRQAAAAAABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmeQNXrF7HskdX2eU4buPBPe\n"
               "1bwh8rXHbREB++qVqcsoGQKbDBYhBL3BS4Z7Ap2L7gRhFBSjC70wC8A1AAB3TAf+IgAtAwC7ikUwOsGRsmT1+4xwILaIhDM2C1iS\n"
               "yXxtzoHkgjUr3zEigGf3ECmDWXJwymi/1dk8S06OXa7jn9YY9FGd3gvi+/FiVDfRtk4iiaP+ikLzSVJ0fQWPUAX5KTBt99mYfUog\n"
               "A19wVfJjoMSKVsRDz9OQGg5tN2NHOzuQ+sZ8H/pgsR1rJnzzx8sa3oZDGkuJStqrPnCkvLFewGsVXGmSOEH6U9w7v931NRDG0O4I\n"
               "fGyKtvntCqEMxIT0w7laujuWQ6HS6BEnUneLzHLF7HumbabEn3jHjPgVHJcneLtrlCmTBX0bDOuj4L/rWVv+Mwj4+7LV0s3FExb5\n"
               "+ddfyM4mBGd0hYAZ/EyWwEbHS/ALGID7Su3VQvbwAXXNOGWOZhsslYafK2bCwLwEGAEKAHAFgmd0hYAJEBSjC70wC8A1RRQAAAAA\n"
               "ABwAIHNhbHRAbm90YXRpb25zLm9wZW5wZ3Bqcy5vcmc2nqmaILsGV7AmCFqHZvlhguP/GC2l22k9rOUZx+9rtwKbDBYhBL3BS4Z7\n"
               "Ap2L7gRhFBSjC70wC8A1AADeMAf/Y+odOkt2p1umojlAxi5cR3NdtSdH3YdowpDC/N3cH1aFEQyMGUO52yv9PNW7yxGVFLMvAG35\n"
               "T+HsD8s9nJJysHunBUNZx7uBsooJYP4lXuE7FSWZuSYu6CSltX2H7HFACjY+OSZI5rUBNjEV2hpjrBHdKNJTmRpDOmvmMMCqXCJd\n"
               "sjpnQWZLHn9iZ1C6cWVduKDwIWuTfCBt1TU25yBkYlAt8d0OEiA3NA+517s2RDi1qJPKeKHYHed9VIs53e/dPvJBxTgBgx+4WdXo\n"
               "AXUGw+joVo2lHcbsonH79h10difny30Ka67v32nSBTUfSlkRQ714808gZ0wDtlUwuirFMQ==\n" END_CERT;

#endif
