resource "aws_lambda_function_url" "ingest" {
  #checkov:skip=CKV_AWS_258:A public URL has to be asked for, by function_url = "public"; the default wants signed requests
  count = var.function_url == "none" ? 0 : 1

  function_name      = module.ingest.name
  authorization_type = var.function_url == "public" ? "NONE" : "AWS_IAM"
  invoke_mode        = "BUFFERED"
}

# A caller needs two permissions: for the URL, and for the function as called by its URL. Those of a public URL are written
# here too: what the provider grants by itself when it makes one, it does not when a URL becomes public later.
locals {
  url_principals = toset(concat(var.function_url_invokers, [for principal in ["*"] : principal if var.function_url == "public"]))
}

resource "aws_lambda_permission" "url" {
  for_each = local.url_principals

  statement_id           = "CallUrl${substr(sha256(each.value), 0, 16)}"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = module.ingest.name
  principal              = each.value
  function_url_auth_type = aws_lambda_function_url.ingest[0].authorization_type
}

# The second one by CloudFormation, since this version of the provider cannot say `InvokedViaFunctionUrl`. Without that the
# principals, `*` among them, might invoke the function itself, with payloads that look like those of a queue or stream.
resource "aws_cloudformation_stack" "url" {
  #checkov:skip=CKV_AWS_124:Nobody needs to hear of these events; the apply that causes them waits for them
  count = length(local.url_principals) == 0 ? 0 : 1

  name = "${local.prefix}-function-url"

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Who may invoke ${local.prefix}-ingest by its URL."
    Resources = {
      for principal in local.url_principals : "Invoker${substr(sha256(principal), 0, 16)}" => {
        Type = "AWS::Lambda::Permission"
        Properties = {
          Action                = "lambda:InvokeFunction"
          FunctionName          = module.ingest.name
          Principal             = principal
          InvokedViaFunctionUrl = true
        }
      }
    }
  })

  depends_on = [aws_lambda_function_url.ingest]
}
